package geo

import (
	_ "embed" // for the database
	"fmt"
	"strings"
)

// embedded is made by `make geo` from DB-IP's IP to Country Lite (see NOTICE).
//
//go:embed country.bin
var embedded string

// Embedded returns the database in the binary, which knows countries. It is
// read again by each call, in a twentieth of a second; callers keep it.
func Embedded() (*DB, error) {
	d, err := decode(strings.NewReader(embedded))
	if err != nil {
		return nil, fmt.Errorf("the geographic database in this binary is damaged: %w. Try: install hanse again", err)
	}
	return d, nil
}
