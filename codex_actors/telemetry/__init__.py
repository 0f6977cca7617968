"""What a process tells of itself: events as lines, and a way out for lines that never blocks.

`levels` says what matters how much, `lines` how it looks, `writer` gets it out, `log` is what
event handlers are made of, `stdlib` takes in what others log, `tree_text` draws a tree.  Its
modules are imported one by one: a program that only wants a way to show text does not load the
files.
"""
