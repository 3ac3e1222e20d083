// Package hubs is what hubs on one database know of each other: which keys the database is read with, which hubs run and have
// these, and how a hub gets them from another one. What is in the database says which keys there are, never what they are.
package hubs
