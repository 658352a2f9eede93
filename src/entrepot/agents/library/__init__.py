"""The actions of the hub's rooms, each through the facade of the room that owns what it changes."""
