"""Trains the demo checkpoint from nothing on clips drawn by code, and measures it: python -m training"""
