// Package trouble logs what fails and is tried again: a line when it begins to fail, a line when it works again, and
// none for the attempts between.
package trouble

import (
	"sync"

	"k8s.io/klog/v2"
)

// Log remembers what fails, by key. The zero Log knows of nothing. Any number of goroutines may use it. What is tried
// no more has to be forgotten, or its key is remembered.
type Log[K comparable] struct {
	mu      sync.Mutex
	failing map[K]int // how many attempts in a row
}

// Failed logs an error, with a message and pairs of keys and values, unless the last attempt failed, too: then the line
// is for those who look for it (-v=2).
func (l *Log[K]) Failed(log klog.Logger, key K, err error, message string, pairs ...any) {
	l.mu.Lock()
	if l.failing == nil {
		l.failing = map[K]int{}
	}
	l.failing[key]++
	attempts := l.failing[key]
	l.mu.Unlock()
	if attempts == 1 {
		log.Error(err, message, pairs...)
		return
	}
	log.V(2).Info(message, append(pairs, "err", err, "attempts", attempts)...)
}

// Worked logs a message if the last attempt failed.
func (l *Log[K]) Worked(log klog.Logger, key K, message string, pairs ...any) {
	if attempts := l.Forget(key); attempts > 0 {
		log.Info(message, append(pairs, "failedAttempts", attempts)...)
	}
}

// Forget forgets a key, and returns how many attempts in a row had failed.
func (l *Log[K]) Forget(key K) (attempts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	attempts = l.failing[key]
	delete(l.failing, key)
	return attempts
}
