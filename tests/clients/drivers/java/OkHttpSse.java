import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.sse.EventSource;
import okhttp3.sse.EventSourceListener;
import okhttp3.sse.EventSources;

/**
 * Asks for event streams with okhttp-sse, which does not reconnect, and prints what it was given:
 *
 * <pre>OkHttpSse BASE... -- NAME CASE [NAME CASE]...</pre>
 *
 * prints one JSON line for each case below each base URL.
 */
public final class OkHttpSse {
    private OkHttpSse() {}

    public static void main(String[] arguments) throws InterruptedException {
        List<String> all = Arrays.asList(arguments);
        int middle = all.indexOf("--");
        OkHttpClient client = new OkHttpClient.Builder().readTimeout(20, TimeUnit.SECONDS).build();
        for (int base = 0; base < middle; base++) {
            for (int at = middle + 1; at < all.size(); at += 2) {
                String got = String.join(",", ask(client, all.get(base) + all.get(at + 1)));
                System.out.printf("{\"base\":%d,\"case\":%s,\"got\":[%s]}%n", base, json(all.get(at)), got);
            }
        }
        client.dispatcher().executorService().shutdown();
        client.connectionPool().evictAll();
    }

    private static List<String> ask(OkHttpClient client, String url) throws InterruptedException {
        List<String> got = new ArrayList<>();
        CountDownLatch over = new CountDownLatch(1);
        EventSourceListener listener = new EventSourceListener() {
            @Override
            public void onOpen(EventSource source, Response response) {
                got.add(list("\"open\"", Integer.toString(response.code())));
            }

            @Override
            public void onEvent(EventSource source, String id, String type, String data) {
                got.add(list("\"event\"", json(type), json(data), json(id)));
            }

            @Override
            public void onClosed(EventSource source) {
                got.add(list("\"end\""));
                over.countDown();
            }

            @Override
            public void onFailure(EventSource source, Throwable error, Response response) {
                String what = error == null ? "" : error.getClass().getSimpleName() + ": " + error.getMessage();
                got.add(list("\"error\"", json(what), response == null ? "null" : Integer.toString(response.code())));
                over.countDown();
            }
        };
        EventSources.createFactory(client).newEventSource(new Request.Builder().url(url).build(), listener);
        over.await();
        return got;
    }

    private static String list(String... members) {
        return "[" + String.join(",", members) + "]";
    }

    private static String json(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder json = new StringBuilder("\"");
        for (char each : text.toCharArray()) {
            if (each == '"' || each == '\\') {
                json.append('\\').append(each);
            } else if (each < ' ' || each > '~') {
                json.append(String.format("\\u%04x", (int) each));
            } else {
                json.append(each);
            }
        }
        return json.append('"').toString();
    }
}
