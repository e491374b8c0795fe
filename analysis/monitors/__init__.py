"""Monitors: could one have seen, while an agent was weak, what it does to people once it is powerful?"""
