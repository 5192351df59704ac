"""The same jobs done with other libraries: for each the smallest program that is honest."""
