// Command hanse joins Kubernetes clusters in different clouds into one.
package main

func main() {}
