// Package schedulediff compares Hanse's scheduler with upstream's where both
// speak of the same thing: clusters that are one node each, and one pod after
// the other. It links kube-scheduler's plugins, which is why it is not beside
// the code.
package schedulediff
