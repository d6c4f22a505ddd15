"""foretrain: how long training to a target accuracy takes on hardware that may not exist yet."""
