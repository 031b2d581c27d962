"""sesq.console"""
