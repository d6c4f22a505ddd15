"""The campaign: all steps to the target, with what goes wrong on the way.

`run` is the campaign in SimPy, `vector` the same for many seeds at once in numpy, `renewal` the closed forms both are
tested against. Failure processes, checkpoint policies and recovery policies are one class in one file each, found by
name in the `__init__` of their folder.
"""
