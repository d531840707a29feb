"""Time series of images: how they are read, scaled and masked, and how patches and sequences are cut from them."""
