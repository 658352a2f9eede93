"""The live data of open pages: what changed since a second ago, told to every browser."""
