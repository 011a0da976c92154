"""What every process is built on. It may import schemas; everything else may import it."""
