"""Instruments, predictions, studies, statistics, reports and the command line of valuelab; may import everything below.

Importing this package loads nothing else, so that the command line answers at once; name the module that you need.
"""
