"""The arrivals lane: turnstiles that are alive but useless."""
