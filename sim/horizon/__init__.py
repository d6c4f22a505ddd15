"""Hardware of later years: trends with back-tests, chips projected along them."""
