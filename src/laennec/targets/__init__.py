"""A model in the forms that other programs run: a folder for browsers, code for microcontrollers."""
