"""sesq.config"""
