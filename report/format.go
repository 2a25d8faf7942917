package report

import (
	"fmt"
	"strconv"
	"strings"
)

// minus writes numbers with a real minus sign, as print does.
func minus(s string) string {
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return strings.Replace(s, "-", "−", 1)
}

// nats formats a log-probability: one decimal for large ones, two for small.
func nats(v float64) string {
	if v <= -100 || v >= 100 {
		return minus(fmt.Sprintf("%.1f", v))
	}
	return minus(fmt.Sprintf("%.2f", v))
}

// signed is nats with a plus where it rises.
func signed(v float64) string {
	if s := nats(v); strings.HasPrefix(s, "−") || strings.Trim(s, "0.") == "" {
		return s
	}
	return "+" + nats(v)
}

// paperSigned is signed with the one decimal that the paper prints.
func paperSigned(v float64) string { return minus(fmt.Sprintf("%+.1f", v)) }

// rate formats a share as the paper prints win rates.
func rate(v float64) string { return minus(fmt.Sprintf("%.3f", v)) }

// signedShare is a difference of shares.
func signedShare(v float64) string { return minus(fmt.Sprintf("%+.3f", v)) }

// each is a mean count: so many each.
func each(v float64) string { return fmt.Sprintf("%.2f", v) }

// percent puts a no-break space before the sign.
func percent(v float64) string { return minus(fmt.Sprintf("%.0f", 100*v)) + "\u00a0%" }

func percent1(v float64) string { return minus(fmt.Sprintf("%.1f", 100*v)) + "\u00a0%" }

// axis formats a tick: no more decimals than it needs.
func axis(v float64) string {
	return minus(strconv.FormatFloat(round(v), 'f', -1, 64))
}

func round(v float64) float64 {
	r, err := strconv.ParseFloat(fmt.Sprintf("%.6f", v), 64)
	if err != nil {
		return v
	}
	return r
}

// count groups thousands: 12,500.
func count(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural is "1 pair", "2 pairs".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(n) + " " + what + "s"
}
