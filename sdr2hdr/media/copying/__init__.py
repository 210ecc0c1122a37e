"""What is not converted: sound, subtitles, chapters and tags, from the source to the output."""
