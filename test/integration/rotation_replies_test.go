// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// Each kind of reply meets the whole operator, with a refresh token that works
// once. Whatever comes, no refresh token is sent twice, and the state holds the
// provider's current one or a condition says that it does not.
func TestReplies(t *testing.T) {
	t.Parallel()
	var cases []fault
	for _, some := range [][]fault{readableReplies(), partialReplies(), wholeDocuments(), refusals(), unclearReplies()} {
		cases = append(cases, some...)
	}
	survive(t, cases)
}

// readableReplies are odd, and good for both tokens.
func readableReplies() []fault {
	contentType := func(value string) simulator.Fault {
		return simulator.Fault{Header: http.Header{"Content-Type": {value}}}
	}
	return []fault{
		{
			name: "no refresh token, an empty one, null, the same one", promise: "the token at hand stays live, and is sent again next time",
			shows: []string{"no refresh token, an empty one, null, a number, the same one"},
			play: func(w *world) {
				w.simulator.Configure(func(o *simulator.Options) { o.Xiaomi.Rotation.NewRefreshToken = simulator.Never })
				w.works(simulator.Fault{}, withRefreshToken(`""`), withRefreshToken(`null`), withRefreshToken(`"`+simulator.DemoXiaomiRefreshToken+`"`))
				if w.state(xiaomi, "refresh_token") != simulator.DemoXiaomiRefreshToken {
					w.t.Error("the token at hand is not in the state")
				}
			},
		},
		{
			name: "a refresh token that is a number", promise: "it is taken to the last digit",
			shows: []string{"no refresh token, an empty one, null, a number, the same one"},
			play: func(w *world) {
				const digits = "98765432109876543210"
				w.simulator.Configure(func(o *simulator.Options) {
					o.NewToken = func(r simulator.TokenRequest) string { return fmt.Sprint(digits, r.Number) + suffix(r) }
				})
				w.works(simulator.Fault{Rewrite: func(own simulator.Reply) simulator.Reply {
					number := w.grant().Current
					own.Body = strings.Replace(own.Body, `"`+number+`"`, number, 1)
					return own
				}}, simulator.Fault{})
			},
		},
		{
			name: "form-encoded", promise: "read by content", shows: []string{"form-encoded"},
			play: func(w *world) { w.works(simulator.Fault{Rewrite: asForm(w)}) },
		},
		{
			name: "the wrong Content-Type", promise: "read by content", shows: []string{"the wrong Content-Type"},
			play: func(w *world) {
				w.works(contentType("text/html"), contentType("application/x-www-form-urlencoded"), contentType("nonsense"))
			},
		},
		{
			name: "a charset", promise: "read by content", shows: []string{"a charset"},
			play: func(w *world) {
				w.works(contentType("application/json; charset=ISO-8859-1"), contentType("application/json; charset=unheard-of"))
			},
		},
		{
			name: "a byte order mark", promise: "it is skipped", shows: []string{"a byte order mark"},
			play: func(w *world) { w.works(simulator.Fault{ByteOrderMark: true}) },
		},
		{
			name: "JSON 10,000 deep", promise: "what it holds is taken", shows: []string{"JSON 10,000 deep"},
			play: func(w *world) {
				w.works(simulator.Fault{Rewrite: nested(31)})
			},
		},
		{
			name: "odd lifetimes", promise: "a usable one counts; else the default, and the tokens are kept",
			shows: []string{`expires_in missing, "3600", 3600.5, 0, negative, 1e30, null, a word`},
			play:  oddLifetimes,
		},
	}
}

// suffix tells refresh tokens from access tokens.
func suffix(r simulator.TokenRequest) string {
	if r.Kind == simulator.AccessToken {
		return "1"
	}
	return "2"
}

// oddLifetimes has lifetimes stated in every form.
func oddLifetimes(w *world) {
	const stated, fallback = time.Hour, 72 * time.Hour // of the provider's description
	w.start()
	w.fresh()
	forms := []struct {
		form simulator.ExpiresIn
		want time.Duration
	}{
		{simulator.ExpiresInText, stated}, {"3600.5", stated}, {simulator.ExpiresInMissing, fallback}, {"0", fallback},
		{"1e30", fallback}, {"null", fallback}, {`"soon"`, fallback},
	}
	for i, each := range forms {
		w.simulator.Configure(func(o *simulator.Options) { o.Xiaomi.ExpiresIn = each.form })
		w.askForRefresh(xiaomi, string(each.form))
		w.awaitRefreshes(xiaomi, int64(i)+2)
		w.keptAndFresh()
		status := w.look(xiaomi).Status
		if got := status.ExpirationTime.Sub(status.LastRefreshTime.Time); got != each.want {
			w.t.Errorf("expires_in %s gives the token %s, want %s", each.form, got, each.want)
		}
	}
	w.spentOnce(len(forms) + 1)
}

// partialReplies bring a refresh token and no access token of use.
func partialReplies() []fault {
	odd := map[string]string{"a line feed": "odd\n%s", "NUL": "odd\x00%s", "bad UTF-8": "odd\xff\xc3%s"}
	cases := []fault{{
		name: "200 without an access token", promise: "the refresh token is saved, the target is left alone",
		shows: []string{"200 without an access token"},
		play: func(w *world) {
			w.start()
			w.fresh()
			w.savesRefreshTokenAlone(v1alpha1.RequestRejectedReason, simulator.Fault{Rewrite: func(own simulator.Reply) simulator.Reply {
				own.Body = strings.Replace(own.Body, `"access_token"`, `"no_access_token"`, 1)
				return own
			}})
		},
	}}
	cases = append(cases, fault{
		name: "a new token that has ended already", promise: "it is not published, the refresh token is saved",
		shows: []string{`expires_in missing, "3600", 3600.5, 0, negative, 1e30, null, a word`},
		play: func(w *world) {
			w.start()
			w.fresh()
			w.savesRefreshTokenAlone(v1alpha1.RequestRejectedReason, simulator.Fault{Rewrite: func(own simulator.Reply) simulator.Reply {
				own.Body = expiresIn.ReplaceAllString(own.Body, `"expires_in":-3600`)
				return own
			}})
		},
	})
	cases = append(cases, brokenReplies()...)
	for name, form := range odd {
		cases = append(cases, fault{
			name: "tokens with " + name, promise: "the refresh token is kept byte for byte, and works; the target is left alone",
			shows: []string{"a token with a line feed, NUL or bad UTF-8"},
			play: func(w *world) {
				w.start()
				w.fresh()
				w.simulator.Configure(func(o *simulator.Options) {
					o.NewToken = func(r simulator.TokenRequest) string {
						if r.Number > 2 {
							return fmt.Sprint("plain-", r.Kind, r.Number)
						}
						return fmt.Sprintf(form, r.Kind)
					}
				})
				w.savesRefreshTokenAlone(v1alpha1.RequestRejectedReason, simulator.Fault{})
			},
		})
	}
	return cases
}

// expiresIn is that member of a reply in JSON.
var expiresIn = regexp.MustCompile(`"expires_in":[^,}]*`)

// brokenReplies cannot be read as a whole, and yet the refresh token is in what
// came of them.
func brokenReplies() []fault {
	// Both tokens come first, and the document's end after what is read.
	padded := func(size int) func(simulator.Reply) simulator.Reply {
		return func(own simulator.Reply) simulator.Reply {
			own.Body = fmt.Sprintf(`%s,"padding":"%s"}`, strings.TrimSuffix(strings.TrimSpace(own.Body), "}"), strings.Repeat("p", max(size, len(own.Body))))
			return own
		}
	}
	var cases []fault
	for _, each := range []struct {
		name, shows string
		broken      simulator.Fault
	}{
		{name: "a body that is cut short after its refresh token", shows: "a truncated body",
			broken: simulator.Fault{Truncate: true, Rewrite: padded(0)}},
		{name: "a body over the cap that begins with its refresh token", shows: "a body of 10 GiB",
			broken: simulator.Fault{Rewrite: padded(int(egress.DefaultMaxReply))}},
		{name: "JSON far too deep", shows: "JSON 10,000 deep", broken: simulator.Fault{Rewrite: nested(1 << 16)}},
	} {
		cases = append(cases, fault{
			name: each.name, promise: "the refresh token is saved, the target is left alone",
			play: func(w *world) {
				faults.Shows(w.t, each.shows)
				w.start()
				w.fresh()
				w.savesRefreshTokenAlone(v1alpha1.ProviderUnavailableReason, each.broken)
			},
		})
	}
	return cases
}

// wholeDocuments are in bodies that have not come to their end.
func wholeDocuments() []fault {
	followedBy := func(size int) func(simulator.Reply) simulator.Reply {
		return func(own simulator.Reply) simulator.Reply {
			own.Body += strings.Repeat(" ", max(size, len(own.Body)))
			return own
		}
	}
	var cases []fault
	for name, frame := range map[string]simulator.Fault{
		"a body that is cut short behind its document":    {Truncate: true, Rewrite: followedBy(0)},
		"a body over the cap that begins with a document": {Rewrite: followedBy(int(egress.DefaultMaxReply))},
	} {
		cases = append(cases, fault{
			name: name, promise: "the tokens are used, and what was wrong with the frame is told",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.simulator.QueueFault(xiaomiCalls, 1, frame)
				w.askForRefresh(xiaomi, "framed")
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				w.spentOnce(2)
				if told := describe(w.look(xiaomi)); !strings.Contains(told, "the frame of the provider's reply is wrong") {
					w.t.Errorf("nothing is told of the frame:\n%s", told)
				}
			},
		})
	}
	return cases
}

// refusals say that nothing was spent.
func refusals() []fault {
	refuse := func(code int) simulator.Fault {
		return reply(200, nil, fmt.Sprintf(`&&&START&&&{"error":%d,"error_description":"no"}`, code))
	}
	return []fault{
		{
			name: "200 with an error", promise: "it is no success; the token is kept and tried again", shows: []string{"200 with an error"},
			play: func(w *world) {
				w.start()
				w.fresh()
				w.refused(refuse(96002), v1alpha1.RequestRejectedReason)
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				w.spentOnce(2)
			},
		},
		{
			name: "401 for the app", promise: "the refresh token is kept; a corrected app sends it, and all is well", shows: []string{"401 for the app"},
			play: func(w *world) {
				w.start()
				w.fresh()
				rejected := refuse(96003)
				rejected.Reply.Status = http.StatusUnauthorized
				w.refused(rejected, v1alpha1.AppRejectedReason)
				w.stalls(v1alpha1.AppRejectedReason, "spec.appSecretRef")
				w.correctApp()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				w.spentOnce(2)
			},
		},
		{
			name: "invalid_grant once, then fine", promise: "nothing is thrown away: a corrected input tries the same token again",
			shows: []string{"invalid_grant once, then fine"},
			play: func(w *world) {
				w.start()
				w.fresh()
				w.refused(refuse(96009), v1alpha1.ReauthorizationRequiredReason)
				w.stalls(v1alpha1.ReauthorizationRequiredReason, "authorize again")
				w.correctApp()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				w.spentOnce(2)
			},
		},
	}
}

// unclearReplies leave open whether the token was spent. Those that get lost on
// their way are TestAnUnknownOutcomeIsHeldUntilAPersonSays.
func unclearReplies() []fault {
	return []fault{
		{
			name: "a redirect to another host", promise: "not a byte goes there", shows: []string{"a redirect to another host"},
			play: redirectElsewhere,
		},
		{
			name: "one byte a second", promise: "the exchange ends after 30 seconds", shows: []string{"one byte a second"},
			play: func(w *world) { w.staysUnknown(simulator.Fault{AfterActing: true, Drip: simulator.Second}) },
		},
		{
			name: "a timeout", promise: "the outcome is unknown, and told", shows: []string{"a timeout"},
			play: func(w *world) { w.staysUnknown(simulator.Fault{AfterActing: true, Until: make(chan struct{})}) },
		},
		{
			name: "a body of 10 GiB", promise: "no more than the cap is read; the worker lives", shows: []string{"a body of 10 GiB"},
			play: func(w *world) { w.staysUnknown(simulator.Fault{AfterActing: true, BodySize: 10 << 30}) },
		},
		{
			name: "a compressed bomb", promise: "no more than the cap is expanded; the worker lives", shows: []string{"a compressed bomb"},
			play: func(w *world) { w.staysUnknown(simulator.Fault{AfterActing: true, GzipBomb: 1 << 30}) },
		},
	}
}

// works plays replies in a row, each of which is to be as good as any other.
func (w *world) works(odd ...simulator.Fault) {
	w.t.Helper()
	w.start()
	w.fresh()
	for i, each := range odd {
		calls := w.calls()
		w.simulator.QueueFault(xiaomiCalls, 1, each)
		w.askForRefresh(xiaomi, fmt.Sprint("number ", i))
		w.awaitRefreshes(xiaomi, int64(i)+2)
		w.keptAndFresh()
		if got := w.calls() - calls; got != 1 {
			w.t.Errorf("reply %d led to %d calls, want 1", i, got)
		}
		if string(w.read(xiaomi + "-token")["access_token"]) != w.grant().AccessToken {
			w.t.Errorf("after reply %d the target does not hold the provider's newest token", i)
		}
	}
	w.spentOnce(len(odd) + 1)
}

// savesRefreshTokenAlone plays a reply whose access token is of no use, and then
// a good one.
func (w *world) savesRefreshTokenAlone(reason string, odd simulator.Fault) {
	w.t.Helper()
	before := string(w.read(xiaomi + "-token")["access_token"])
	answer := make(chan struct{})
	w.simulator.QueueFault(xiaomiCalls, 1, odd)
	w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{Until: answer}) // holds the next attempt back
	w.fallDue()
	w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, reason)
	if held := w.state(xiaomi, "refresh_token"); held != w.grant().Current {
		w.t.Errorf("the state holds %q, want %q", held, w.grant().Current)
	}
	if string(w.read(xiaomi + "-token")["access_token"]) != before {
		w.t.Error("the target was touched")
	}
	close(answer)
	w.awaitFresh(xiaomi)
	w.keptAndFresh()
	w.spentOnce(3)
}

// refused plays a refusal, and checks that nothing is lost over it.
func (w *world) refused(refusal simulator.Fault, reason string) {
	w.t.Helper()
	before := string(w.read(xiaomi + "-token")["access_token"])
	answer := make(chan struct{})
	defer close(answer)
	w.simulator.QueueFault(xiaomiCalls, 1, refusal)
	w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{Until: answer}) // holds the next attempt back
	w.askForRefresh(xiaomi, "refused")                                     // an edit of the spec would count as a cure
	w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, reason)
	w.kept(simulator.DemoXiaomiGrant, 0)
	if w.state(xiaomi, "refresh_token") != w.grant().Current {
		w.t.Error("the refresh token was thrown away")
	}
	if string(w.read(xiaomi + "-token")["access_token"]) != before {
		w.t.Error("the target was touched")
	}
}

// staysUnknown plays a reply that leaves everything open, and cures it.
func (w *world) staysUnknown(lost simulator.Fault) {
	w.t.Helper()
	w.start()
	w.fresh()
	before, calls := string(w.read(xiaomi + "-token")["access_token"]), w.calls()
	w.simulator.QueueFault(xiaomiCalls, 1, lost)
	w.fallDue()
	w.stallsUnknown()
	if got := w.calls() - calls; got != 1 {
		w.t.Errorf("the token was sent %d times, want once", got)
	}
	if string(w.read(xiaomi + "-token")["access_token"]) != before {
		w.t.Error("the target was touched")
	}
	w.curedByAnotherSeed(0)
	other, _ := w.simulator.Grant("other")
	if other.Refreshes != 1 || string(w.read(xiaomi + "-token")["access_token"]) != other.AccessToken {
		w.t.Errorf("the new seed was spent %d times, or the target holds another token", other.Refreshes)
	}
}

// spentOnce checks that each refresh token of the first family was spent for one
// refresh.
func (w *world) spentOnce(refreshes int) {
	w.t.Helper()
	grant := w.grant()
	if grant.Refreshes != refreshes || grant.Reuses+grant.WindowReuses != 0 {
		w.t.Errorf("there were %d refreshes and %d reuses, want %d and 0", grant.Refreshes, grant.Reuses+grant.WindowReuses, refreshes)
	}
	for _, token := range grant.History {
		if token.Uses > 1 && len(grant.History) > 1 {
			w.t.Errorf("refresh token number %d was used %d times", token.Number, token.Uses)
		}
	}
}

// correctApp changes the Secret with the app, as a person does who corrects it.
func (w *world) correctApp() {
	w.t.Helper()
	w.secret(xiaomi+"-app", map[string]string{
		"app_key": simulator.DemoXiaomiClientID, "app_secret": simulator.DemoXiaomiClientSecret, "note": "corrected"})
}

const xiaomiPrefix = "&&&START&&&"

// withRefreshToken adds a refresh token, as JSON, to a reply that has none.
func withRefreshToken(value string) simulator.Fault {
	return simulator.Fault{Rewrite: func(own simulator.Reply) simulator.Reply {
		own.Body = strings.Replace(own.Body, "{", `{"refresh_token":`+value+",", 1)
		return own
	}}
}

// nested adds a list of lists to a reply.
func nested(depth int) func(simulator.Reply) simulator.Reply {
	return func(own simulator.Reply) simulator.Reply {
		own.Body = strings.Replace(own.Body, "{", `{"deep":`+strings.Repeat("[", depth)+strings.Repeat("]", depth)+",", 1)
		return own
	}
}

// asForm writes a reply as a form.
func asForm(w *world) func(simulator.Reply) simulator.Reply {
	return func(own simulator.Reply) simulator.Reply {
		var members map[string]any
		decoder := json.NewDecoder(strings.NewReader(strings.TrimPrefix(own.Body, xiaomiPrefix)))
		decoder.UseNumber()
		if err := decoder.Decode(&members); err != nil {
			w.t.Errorf("the provider's own reply does not read: %v", err)
		}
		form := url.Values{}
		for name, value := range members {
			form.Set(name, fmt.Sprint(value))
		}
		own.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		own.Body = form.Encode()
		return own
	}
}
