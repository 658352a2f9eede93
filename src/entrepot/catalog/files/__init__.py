"""Product files: what a file of any kind says, and products written as one. Pure but for the file itself."""
