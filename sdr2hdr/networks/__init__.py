"""IRNet and GPGMNet, their names, their trained weights, and how they are cut into stages."""
