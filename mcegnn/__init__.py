"""mcegnn"""
