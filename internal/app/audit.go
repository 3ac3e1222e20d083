package app

import (
	"path/filepath"

	"github.com/hanse-dev/hanse/internal/audit"
)

// audited are the files by which a hub with these settings says who did what.
func (o ServerOptions) audited() audit.Sources {
	s := audit.Sources{Log: filepath.Join(o.DataDir, "audit", "audit.log")}
	if path, given := o.APIServer["audit-log-path"]; given {
		s.Log = path
		if path == "-" {
			s.Log = ""
		}
	}
	if o.FlightBytes > 0 {
		s.Flight = o.flightDir()
	}
	return s
}

func (o ServerOptions) flightDir() string { return filepath.Join(o.DataDir, "flight") }
