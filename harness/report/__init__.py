"""Finished results for people: terminal, pictures, HTML. Everything here is made from results.json alone."""
