"""The other ways to compute the cases, each as good as its library allows."""
