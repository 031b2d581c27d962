"""sesq.worker"""
