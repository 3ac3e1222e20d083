package demo

import "path/filepath"

// layout says where in a demo's directory everything is.
type layout string

func (l layout) state() string      { return l.at("demo.json") }
func (l layout) kubeconfig() string { return l.at("kubeconfig") }
func (l layout) hubData() string    { return l.at("hub") }
func (l layout) hubConfig() string  { return l.at("hub", "admin.kubeconfig") }
func (l layout) process() string    { return l.at("process") }
func (l layout) hubPID() string     { return l.at("process", "pid") }
func (l layout) hubLog() string     { return l.at("process", "log") }
func (l layout) members() string    { return l.at("clusters") }
func (l layout) ssl() string        { return l.at("ssl") }

// owned lists what Down removes once the processes have ended; the state comes
// last, so that a Down that was interrupted can be run again.
func (l layout) owned() []string {
	return []string{l.kubeconfig(), l.kubeconfig() + ".bak", l.hubData(), l.process(), l.members(), l.ssl(), l.state()}
}

func (l layout) at(parts ...string) string {
	return filepath.Join(append([]string{string(l)}, parts...)...)
}

// MembersDir is where the member clusters of the demo in dir are.
func MembersDir(dir string) string { return layout(dir).members() }
