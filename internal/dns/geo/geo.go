// Package geo knows where an address is, where a cloud's region is, and how far
// one place is from another.
package geo

// Place is where somebody is. What is not known is empty; the zero Place is
// nowhere in particular.
type Place struct {
	// Continent is AF, AN, AS, EU, NA, OC or SA.
	Continent string
	// Country is an ISO 3166-1 code of two letters.
	Country string
	// Subdivision is an ISO 3166-2 code, as US-NY.
	Subdivision string
}

// Location is the number of a Place within one database; 0 is the zero Place.
type Location uint16
