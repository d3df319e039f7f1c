import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

/**
 * Fills a broker with something of everything, and tells all that a broker holds, by Apache Kafka's own client.
 *
 *   GoldenClient.java write HOST:PORT kafka|strom   writes, checks what was acknowledged, tells it
 *   GoldenClient.java more HOST:PORT                20 records behind the end of each topic but those with transactions
 *   GoldenClient.java read HOST:PORT                tells it
 *
 * It is told in lines of fields between tabs: see crates/cli/tests/fixtures/golden/README.md.
 */
public class GoldenClient {
    static String boot;
    static Admin admin;
    /** What was acknowledged and nobody took back: 'topic partition offset key value'. */
    static final Set<String> acknowledged = new LinkedHashSet<>();
    static final Set<String> neverCommitted = new HashSet<>();
    static final long start = System.currentTimeMillis() - 3_600_000;
    static final String FILLER = " the quick brown fox jumps";

    public static void main(String[] args) throws Exception {
        boot = args[1];
        admin = Admin.create(Map.of("bootstrap.servers", boot));
        List<String> told;
        switch (args[0]) {
            case "write" -> {
                Runnable open = write(args[2].equals("kafka"));
                told = tell();
                check(told);
                open.run();
                told = tell();
            }
            case "more" -> { more(); told = tell(); }
            case "read" -> told = tell();
            default -> throw new IllegalArgumentException(args[0]);
        }
        told.forEach(System.out::println);
        System.out.flush();
        // An open transaction stays as it is: its producer is not closed.
        Runtime.getRuntime().halt(0);
    }

    static <T> T get(KafkaFuture<T> f) throws Exception { return f.get(30, TimeUnit.SECONDS); }

    static void make(String name, int partitions, String... configs) throws Exception {
        Map<String, String> map = new TreeMap<>(Map.of("retention.ms", "-1"));
        for (int i = 0; i < configs.length; i += 2) map.put(configs[i], configs[i + 1]);
        get(admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(map))).all());
    }

    static KafkaProducer<String, String> producer(Object... configs) {
        Map<String, Object> map = new HashMap<>(Map.of("bootstrap.servers", boot, "linger.ms", 20_000,
            "delivery.timeout.ms", 60_000, "key.serializer", StringSerializer.class, "value.serializer", StringSerializer.class));
        for (int i = 0; i < configs.length; i += 2) map.put((String) configs[i], configs[i + 1]);
        return new KafkaProducer<>(map);
    }

    /** Batches of so many records, each batch so much later than the one before. */
    static void batches(Producer<String, String> producer, String topic, int partition, int batches, int records, long stepMs,
                        boolean counts) throws Exception {
        for (int batch = 0; batch < batches; batch++) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            List<String> told = new ArrayList<>();
            for (int i = 0; i < records; i++) {
                int n = batch * records + i;
                String key = n % 7 == 3 ? null : "key-" + n % 7;
                String value = topic.equals("compacted") && n % 31 == 30 ? null : topic + "-" + n + FILLER;
                if (topic.equals("compacted") && key == null) key = "key-3";
                if (topic.equals("nulls") && n % 3 == 0) value = null;
                var record = new ProducerRecord<>(topic, partition, start + batch * stepMs + i, key, value);
                if (n % 5 == 0) record.headers().add("number", ("" + n).getBytes(StandardCharsets.UTF_8));
                sent.add(producer.send(record));
                told.add(key + "\t" + value);
            }
            producer.flush();
            for (int i = 0; i < records; i++) {
                String line = topic + "\t" + partition + "\t" + sent.get(i).get().offset() + "\t" + told.get(i);
                (counts ? acknowledged : neverCommitted).add(line);
            }
        }
    }

    static Runnable write(boolean hasTransactions) throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            make("codec-" + codec, 1);
            try (var producer = producer("compression.type", codec)) {
                batches(producer, "codec-" + codec, 0, 4, 10, 1, true);
            }
        }
        make("converted", 1, "compression.type", "zstd");
        make("append-time", 1, "message.timestamp.type", "LogAppendTime", "max.message.bytes", "200000");
        make("nulls", 1);
        make("partitions", 3);
        make("segments", 1, "segment.ms", "1000", "index.interval.bytes", "200");
        make("deleted-prefix", 1, "segment.ms", "1000");
        try (var producer = producer()) {
            batches(producer, "converted", 0, 3, 10, 1, true);
            batches(producer, "append-time", 0, 2, 10, 1, true);
            batches(producer, "nulls", 0, 2, 10, 1, true);
            for (int partition = 0; partition < 3; partition++)
                batches(producer, "partitions", partition, 2, 5 + partition, 1, true);
            batches(producer, "segments", 0, 12, 6, 600, true);
            batches(producer, "deleted-prefix", 0, 10, 5, 600, true);
        }
        // Without idempotence there is no producer id in the batches.
        try (var producer = producer("enable.idempotence", false, "acks", "1")) {
            batches(producer, "nulls", 0, 1, 9, 1, true);
        }
        var deleted = new TopicPartition("deleted-prefix", 0);
        get(admin.deleteRecords(Map.of(deleted, RecordsToDelete.beforeOffset(27))).all());
        acknowledged.removeIf(line -> line.startsWith("deleted-prefix\t") && Long.parseLong(line.split("\t")[2]) < 27);
        groups();
        var broker = new ConfigResource(ConfigResource.Type.BROKER, "");
        var op = new AlterConfigOp(new ConfigEntry("message.max.bytes", "2000000"), AlterConfigOp.OpType.SET);
        get(admin.incrementalAlterConfigs(Map.of(broker, List.of(op))).all());
        if (!hasTransactions) return () -> { };
        compact();
        return transact();
    }

    static KafkaConsumer<String, String> consumer(String isolation, String group) {
        Map<String, Object> map = new HashMap<>(Map.of("bootstrap.servers", boot, "isolation.level", isolation,
            "enable.auto.commit", false, "auto.offset.reset", "earliest",
            "key.deserializer", StringDeserializer.class, "value.deserializer", StringDeserializer.class));
        if (group != null) map.put("group.id", group);
        return new KafkaConsumer<>(map);
    }

    /** One that commits without members, one whose members came and went. */
    static void groups() throws Exception {
        try (var consumer = consumer("read_uncommitted", "simple")) {
            for (int partition = 0; partition < 3; partition++)
                for (long offset = 1; offset < 5; offset++)
                    consumer.commitSync(Map.of(new TopicPartition("partitions", partition),
                        new OffsetAndMetadata(offset + partition, "note " + partition)));
        }
        try (var consumer = consumer("read_uncommitted", "members")) {
            consumer.subscribe(List.of("segments"));
            long end = System.currentTimeMillis() + 60_000;
            while (consumer.poll(Duration.ofMillis(500)).isEmpty())
                if (System.currentTimeMillis() > end) throw new IllegalStateException("the group reads nothing");
            consumer.commitSync(Map.of(new TopicPartition("segments", 0), new OffsetAndMetadata(42)));
        }
    }

    /** Waits until the cleaner has been there: its holes are what this is about. */
    static void compact() throws Exception {
        make("compacted", 1, "cleanup.policy", "compact", "segment.ms", "1000", "min.cleanable.dirty.ratio", "0.01",
            "delete.retention.ms", "100000000000000");
        try (var producer = producer("compression.type", "lz4")) {
            batches(producer, "compacted", 0, 10, 10, 600, true);
        }
        long end = System.currentTimeMillis() + 60_000;
        while (true) {
            long count = tell().stream().filter(line -> line.startsWith("record\tcompacted\t")).count();
            if (count > 0 && count < 60) break;
            if (System.currentTimeMillis() > end) throw new IllegalStateException("the cleaner left " + count);
            Thread.sleep(500);
        }
        acknowledged.removeIf(line -> line.startsWith("compacted\t"));
    }

    /** Committed, aborted and committed ones; what is returned begins another that stays open. */
    static Runnable transact() throws Exception {
        make("transactions", 2, "segment.ms", "1000");
        make("open", 1);
        var producer = producer("transactional.id", "golden", "compression.type", "snappy", "transaction.timeout.ms", 900_000);
        producer.initTransactions();
        for (int round = 0; round < 6; round++) {
            boolean commits = round % 3 != 1;
            producer.beginTransaction();
            batches(producer, "transactions", round % 2, 2, 4, 600, commits);
            batches(producer, "transactions", 1 - round % 2, 1, 3, 1, commits);
            if (round == 3)
                producer.sendOffsetsToTransaction(Map.of(new TopicPartition("segments", 0), new OffsetAndMetadata(17)),
                    new ConsumerGroupMetadata("transactional"));
            // Taken back with its transaction: 17 stands.
            if (round == 4)
                producer.sendOffsetsToTransaction(Map.of(new TopicPartition("segments", 0), new OffsetAndMetadata(71)),
                    new ConsumerGroupMetadata("transactional"));
            if (commits) producer.commitTransaction(); else producer.abortTransaction();
        }
        producer.beginTransaction();
        batches(producer, "open", 0, 1, 3, 1, true);
        producer.commitTransaction();
        return () -> {
            try {
                producer.beginTransaction();
                batches(producer, "open", 0, 1, 2, 1, false);
            } catch (Exception error) {
                throw new RuntimeException(error);
            }
        };
    }

    static void more() throws Exception {
        try (var producer = producer("compression.type", "gzip", "linger.ms", 5)) {
            for (String topic : topics())
                if (!topic.equals("open") && !topic.equals("transactions") && !topic.equals("compacted"))
                    batches(producer, topic, 0, 2, 10, 1, true);
        }
        try (var consumer = consumer("read_uncommitted", "simple")) {
            consumer.commitSync(Map.of(new TopicPartition("partitions", 0), new OffsetAndMetadata(11, "later")));
        }
        check(tell());
    }

    static List<String> topics() throws Exception {
        return get(admin.listTopics().names()).stream().filter(name -> !name.startsWith("__")).sorted().toList();
    }

    /** What was acknowledged is told, and of what was taken back nothing is told as committed. */
    static void check(List<String> told) {
        Map<String, String> records = new HashMap<>();
        for (String line : told) {
            String[] f = line.split("\t");
            if (f[0].equals("record")) records.put(String.join("\t", f[1], f[2], f[3], f[6], f[7]), f[4]);
        }
        for (String line : acknowledged)
            if (!"committed".equals(records.get(line))) throw new IllegalStateException("is not there: " + line);
        for (String line : neverCommitted)
            if (!"uncommitted".equals(records.get(line))) throw new IllegalStateException("is not as it should be: " + line);
    }

    static List<String> tell() throws Exception {
        List<String> lines = new ArrayList<>();
        List<TopicPartition> partitions = new ArrayList<>();
        for (var topic : new TreeMap<>(get(admin.describeTopics(topics()).allTopicNames())).values()) {
            lines.add(String.join("\t", "topic", topic.name(), topic.topicId().toString(), "" + topic.partitions().size()));
            for (var partition : topic.partitions()) partitions.add(new TopicPartition(topic.name(), partition.partition()));
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic.name());
            tellConfigs(lines, resource, ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
        }
        tellConfigs(lines, new ConfigResource(ConfigResource.Type.BROKER, "1"), ConfigEntry.ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG);
        tellRecords(lines, partitions);
        tellGroups(lines);
        return lines;
    }

    static void tellConfigs(List<String> lines, ConfigResource resource, ConfigEntry.ConfigSource source) throws Exception {
        var entries = get(admin.describeConfigs(List.of(resource)).all()).get(resource).entries();
        for (var entry : new TreeMap<>(entries.stream().filter(it -> it.source() == source)
                .collect(Collectors.toMap(ConfigEntry::name, ConfigEntry::value))).entrySet())
            lines.add(String.join("\t", "config", resource.type().name().toLowerCase(), resource.name(), entry.getKey(), entry.getValue()));
    }

    static void tellRecords(List<String> lines, List<TopicPartition> partitions) throws Exception {
        Map<TopicPartition, Set<Long>> committed = new HashMap<>();
        for (String isolation : List.of("read_committed", "read_uncommitted"))
            try (var consumer = consumer(isolation, null)) {
                var starts = consumer.beginningOffsets(partitions);
                var ends = consumer.endOffsets(partitions);
                consumer.assign(partitions);
                consumer.seekToBeginning(partitions);
                Map<TopicPartition, List<ConsumerRecord<String, String>>> read = new HashMap<>();
                long deadline = System.currentTimeMillis() + 60_000;
                while (partitions.stream().anyMatch(it -> consumer.position(it) < ends.get(it))) {
                    for (var record : consumer.poll(Duration.ofMillis(200)))
                        read.computeIfAbsent(new TopicPartition(record.topic(), record.partition()), it -> new ArrayList<>()).add(record);
                    if (System.currentTimeMillis() > deadline) throw new IllegalStateException(isolation + " does not come to the end");
                }
                for (var partition : partitions) {
                    String place = partition.topic() + "\t" + partition.partition() + "\t";
                    var records = read.getOrDefault(partition, List.of());
                    if (isolation.equals("read_committed")) {
                        committed.put(partition, records.stream().map(ConsumerRecord::offset).collect(Collectors.toSet()));
                        lines.add("stable\t" + place + ends.get(partition));
                        continue;
                    }
                    lines.add("start\t" + place + starts.get(partition));
                    lines.add("end\t" + place + ends.get(partition));
                    for (var record : records) lines.add("record\t" + place + text(record, committed.get(partition)));
                }
            }
    }

    static String text(ConsumerRecord<String, String> record, Set<Long> committed) {
        String headers = Arrays.stream(record.headers().toArray())
            .map(it -> it.key() + "=" + new String(it.value(), StandardCharsets.UTF_8)).collect(Collectors.joining(","));
        return String.join("\t", "" + record.offset(), committed.contains(record.offset()) ? "committed" : "uncommitted",
            "" + record.timestamp(), "" + record.key(), "" + record.value(), headers.isEmpty() ? "-" : headers);
    }

    static void tellGroups(List<String> lines) throws Exception {
        for (String group : List.of("members", "simple", "transactional")) {
            var offsets = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
            offsets.entrySet().stream().filter(it -> it.getValue() != null)
                .sorted(Comparator.comparing(it -> it.getKey().toString()))
                .forEach(it -> lines.add(String.join("\t", "committed", group, it.getKey().topic(), "" + it.getKey().partition(),
                    "" + it.getValue().offset(), it.getValue().metadata().isEmpty() ? "-" : it.getValue().metadata())));
        }
    }
}
