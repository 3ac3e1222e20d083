package hubs

import "github.com/hanse-dev/hanse/internal/controlplane/datadir"

// Report is what there is to know of how a database is encrypted.
type Report struct {
	// Own says that the hubs make and replace the keys themselves.
	Own bool `json:"own"`
	// Keys are those by which the database is read, the one that writes first.
	Keys []datadir.EncryptionKey `json:"keys"`
	// Resources are encrypted; Reads are not, and may have been or will be.
	Resources []string `json:"resources"`
	Reads     []string `json:"reads,omitempty"`
	// Rotation is the replacement of the key that is under way. Rewritten is how many objects the hub that was asked has written
	// again since it began, or went on.
	Rotation  *Rotation   `json:"rotation,omitempty"`
	Rewritten int64       `json:"rewritten,omitempty"`
	Hubs      []HubReport `json:"hubs"`
	// Problem says why the hub that was asked does not get on.
	Problem string `json:"problem,omitempty"`
}

// HubReport is about one hub that runs.
type HubReport struct {
	ID        string   `json:"id"`
	Addresses []string `json:"addresses"`
	// InStep says that it reads and writes by the keys that the database names.
	InStep bool `json:"inStep"`
}

// NewReport says what the database says.
func NewReport(record Record, running []Hub, own bool) Report {
	r := Report{Own: own, Keys: record.Keys.Encryption, Resources: record.Keys.Resources, Reads: record.Keys.Reads, Rotation: record.Rotation, Hubs: []HubReport{}}
	for _, h := range running {
		r.Hubs = append(r.Hubs, HubReport{ID: h.ID, Addresses: h.Addresses, InStep: h.Keys.Equal(record.Keys)})
	}
	return r
}
