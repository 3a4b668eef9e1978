"""The versioned JSON API: a thin layer over the services that the pages use."""
