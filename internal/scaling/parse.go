package scaling

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseCounts reads aws=2, one for each cluster.
func ParseCounts(args []string) (map[string]int32, error) {
	counts := map[string]int32{}
	err := each(args, func(name, value string) error {
		n, err := number(name, value)
		counts[name] = int32(n)
		return err
	}, "hanse scale deployment/web aws=2 azure=1")
	return counts, err
}

// ParseNumbers reads the values of a flag, aws=2.
func ParseNumbers(flag string, values []string) (map[string]int64, error) {
	numbers := map[string]int64{}
	err := each(values, func(name, value string) error {
		n, err := number(name, value)
		numbers[name] = n
		return err
	}, flag+" aws=2,azure=1")
	return numbers, err
}

// ParseMaxima reads the values of --max, aws=2 or aws=none for no maximum.
func ParseMaxima(values []string) (map[string]*int64, error) {
	maxima := map[string]*int64{}
	err := each(values, func(name, value string) error {
		maxima[name] = nil
		if value == "none" {
			return nil
		}
		n, err := number(name, value)
		maxima[name] = &n
		return err
	}, "--max aws=5,azure=none")
	return maxima, err
}

func each(args []string, take func(name, value string) error, example string) error {
	seen := map[string]bool{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q is not CLUSTER=N. Try: %s", arg, example)
		}
		if seen[name] {
			return fmt.Errorf("cluster %s is named twice. Try: %s", name, example)
		}
		seen[name] = true
		if err := take(name, value); err != nil {
			return fmt.Errorf("%w. Try: %s", err, example)
		}
	}
	return nil
}

// number reads a number of replicas, which the API has as 32 bits.
func number(name, value string) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 32)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s=%s is not a number of replicas", name, value)
	case n < 0:
		return 0, fmt.Errorf("%s=%s is below zero", name, value)
	}
	return n, nil
}
