from hypothesis import settings

# How long one example takes says how busy the machine is; pytest-timeout bounds what hangs.
settings.register_profile("saqshy", deadline=None)
settings.load_profile("saqshy")
