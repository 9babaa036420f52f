"""From a folder of pictures to a collection that holds exactly that folder."""
