"""What things cost, as ratios: contenders are measured in turn, in one run, in a database made for it.

A number of milliseconds says something about a machine; how many times as long something takes as something else says
something about the code.
"""
