"""What became of a class, for its people: feedback for each student, the page of the class, what a regrade changes.

Everything here is made from a finished Class and from the results of its runs alone; all texts in these are hostile.
"""
