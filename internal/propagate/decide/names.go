package decide

import (
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
)

// What inputs and effects consist of, for those who hand them in and carry them out.
type (
	Assignment  = assignment.Assignment
	Recording   = assignment.Recording
	Event       = assignment.Event
	Wanted      = assignment.Wanted
	Observed    = assignment.Observed
	Problem     = assignment.Problem
	Facts       = assignment.Facts
	Concern     = assignment.Concern
	KnownPolicy = policies.Known
	Cluster     = cluster.Cluster
)
