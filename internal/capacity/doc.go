// Package capacity knows what each member has free, what runs there, and what
// waits there for room: the part of a schedule.Cluster that changes with every
// pod.
//
// A Watcher follows the nodes and all pods of the members that are engaged.
// Of a pod it keeps about a hundred bytes, because pods that are alike share
// what they ask for and are labelled with. Nothing is watched before Want is
// called. What it knows of a cluster is handed out as a View, which is made
// when it is asked for, at most every few hundred milliseconds while pods come
// and go. A member that is away keeps its last View.
//
// # What counts
//
// A node gives what is allocatable and not asked for by the pods on it. One
// that is not ready or cordoned gives nothing; one with a taint NoSchedule or
// NoExecute gives only to those that tolerate it. Pods that have finished or
// are being deleted count nowhere. A pod that is on no node yet will soon
// take room: it is taken off what is free, where it would fit.
package capacity
