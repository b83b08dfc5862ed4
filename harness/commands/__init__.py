"""The verbs of `lab`, each a function that takes the parsed arguments and returns the exit status."""
