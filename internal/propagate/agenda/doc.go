// Package agenda keeps what waits to be done about objects: a Backlog of what is to be done as soon as there is time, and
// Alarms for what is to be done at a time. It is pure, and deterministic: the same calls take out the same objects.
package agenda
