// Package question answers what would be: where objects would go (Plan), and what would become of workloads if clusters were
// lost (Losses). It asks package decide, by a decide.Supposed, so that there is no second model of the rules. It is pure, and
// changes nothing.
package question
