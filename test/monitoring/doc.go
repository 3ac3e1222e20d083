// Package monitoring holds the dashboard and the alert rules against the code and the documents.
package monitoring
