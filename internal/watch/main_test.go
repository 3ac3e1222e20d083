package watch

import (
	"log/slog"
	"testing"

	"k8s.io/klog/v2"
)

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // errors are what many tests are about
	m.Run()
}
