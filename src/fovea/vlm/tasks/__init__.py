"""What a vision-language model is asked, one file a benchmark; asking and scoring stay apart."""
