"""What several methods share, a file for each part: a method that joins leaves all of them as they are."""
