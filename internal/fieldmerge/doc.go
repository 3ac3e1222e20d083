// Package fieldmerge works out what has to be written to a member's object so
// that it is what the hub wants, and nothing else: fields of other owners stay
// as they are. It is pure.
//
// Ownership is read from the object's managedFields. From the same place
// comes the shape of lists: the API server records there whether the items of
// a list are told apart by a key (containers by name), are a set, or are one
// value, for built-in kinds and custom ones alike; so no schema is needed.
package fieldmerge
