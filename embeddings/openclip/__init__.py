"""The encoder that runs models here, through open_clip. Only this folder imports torch."""
